-- How many tasks are completed each week?
select
    cast({{ dbt.date_trunc('week', 'completed_at') }} as date) as week,
    count(*) as tasks_completed,
    count(distinct completed_by_gid) as people
from {{ ref('airbyte_asana', 'all_tasks') }}
where completed_at is not null
group by 1
order by 1
