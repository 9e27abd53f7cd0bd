{{ airbyte_asana.relation(ref('current_portfolios'), 'members', 'portfolio_gid', {'user_gid': 'gid', 'user_name': 'name'}) }}
