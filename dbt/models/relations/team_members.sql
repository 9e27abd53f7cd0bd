select team_gid, user_gid, user_name, is_admin, is_guest, is_limited_access
from {{ ref('current_team_memberships') }}
