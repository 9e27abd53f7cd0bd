select
    task_gid, project_gid, max(project_name) as project_name, stay,
    min(entered_at) as entered_at,
    max(case when place = first_place then entered_by_gid end) as entered_by_gid,
    max(case when place = last_place then left_at end) as left_at,
    max(case when place = last_place then left_by_gid end) as left_by_gid,
    {{ dbt.datediff('min(entered_at)', 'max(case when place = last_place then left_at end)', 'second') }} as seconds,
    max(case when is_current then 1 else 0 end) = 1 as is_current
from (
    select *,
        min(place) over (partition by task_gid, project_gid, stay) as first_place,
        max(place) over (partition by task_gid, project_gid, stay) as last_place
    from {{ ref('task_section_history') }}
) as placed
group by task_gid, project_gid, stay
