select gid as goal_gid, owner_gid as user_gid, owner_name as user_name
from {{ ref('current_goals') }}
where owner_gid is not null
