select portfolio_gid, gid as project_gid, name as project_name
from {{ ref('current_portfolio_items') }}
where resource_type = 'project'
