select portfolio_gid, gid as child_portfolio_gid, name as child_portfolio_name
from {{ ref('current_portfolio_items') }}
where resource_type = 'portfolio'
