-- In which projects that are not archived has nothing happened for weeks?
with activity as (
    select memberships.project_gid, max(stories.created_at) as last_activity_at
    from {{ ref('airbyte_asana', 'task_projects') }} as memberships
    inner join {{ ref('airbyte_asana', 'current_stories') }} as stories on memberships.task_gid = stories.task_gid
    where stories.created_at < {{ as_of() }}
    group by 1
)

select
    projects.name as project,
    projects.owner_name as owner,
    coalesce(activity.last_activity_at, projects.created_at) as last_activity_at,
    {{ dbt.datediff('coalesce(activity.last_activity_at, projects.created_at)', as_of(), 'day') }} as days_without_activity
from {{ ref('airbyte_asana', 'current_projects') }} as projects
left join activity on projects.gid = activity.project_gid
where not projects.archived
    and {{ dbt.datediff('coalesce(activity.last_activity_at, projects.created_at)', as_of(), 'day') }} >= {{ var('stale_after_days') }}
order by days_without_activity desc, project
