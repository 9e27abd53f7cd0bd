select
    gid as story_gid, {{ airbyte_asana.story_task() }} as task_gid, created_at as changed_at, created_by_gid as changed_by_gid,
    created_by_name as changed_by_name,
    lag(assignee_gid) over (partition by {{ airbyte_asana.story_task() }} order by {{ airbyte_asana.story_order() }})
        as old_assignee_gid,
    assignee_gid as new_assignee_gid, assignee_name as new_assignee_name
from {{ ref('current_stories') }}
where resource_subtype in ('assigned', 'unassigned')
