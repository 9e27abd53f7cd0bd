select
    gid as goal_relationship_gid,
    coalesce(supported_goal_gid, {{ airbyte_asana.json_text('supported_goal', 'gid') }}) as goal_gid,
    supporting_resource_gid,
    supporting_resource_name,
    {{ airbyte_asana.json_text('supporting_resource', 'resource_type') }} as supporting_resource_type,
    contribution_weight
from {{ ref('current_goal_relationships') }}
