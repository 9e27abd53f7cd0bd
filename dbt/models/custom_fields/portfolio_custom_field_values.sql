{{ airbyte_asana.custom_field_values(ref('current_portfolios'), 'portfolio_gid') }}
