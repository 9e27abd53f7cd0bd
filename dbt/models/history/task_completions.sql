{#- Completions that stories tell of, and the one that the task itself tells of: a task can be made complete by a copy
    or an import, without a story. -#}
with completions as (
    select {{ airbyte_asana.story_task() }} as task_gid, created_at as completed_at, created_by_gid as completed_by_gid,
        created_by_name as completed_by_name, 1 as is_story, gid
    from {{ ref('current_stories') }}
    where resource_subtype = 'marked_complete'
    union all
    select gid as task_gid, completed_at, completed_by_gid, completed_by_name, 0 as is_story, gid
    from {{ ref('all_tasks') }}
    where completed_at is not null
),

ordered as (
    select *,
        row_number() over (partition by task_gid order by completed_at, is_story desc, length(gid), gid) as place,
        row_number() over (partition by task_gid order by completed_at desc, is_story desc, length(gid) desc, gid desc)
            as place_from_end
    from completions
),

reopenings as (
    select {{ airbyte_asana.story_task() }} as task_gid, count(*) as times_reopened
    from {{ ref('current_stories') }}
    where resource_subtype = 'marked_incomplete'
    group by 1
),

folded as (
    select
        task_gid,
        max(case when place = 1 then completed_at end) as first_completed_at,
        max(case when place = 1 then completed_by_gid end) as first_completed_by_gid,
        max(case when place = 1 then completed_by_name end) as first_completed_by_name,
        max(case when place_from_end = 1 then completed_at end) as last_completed_at,
        max(case when place_from_end = 1 then completed_by_gid end) as last_completed_by_gid,
        max(case when place_from_end = 1 then completed_by_name end) as last_completed_by_name,
        sum(is_story) as times_completed
    from ordered
    group by task_gid
)

select
    folded.task_gid, tasks.completed as is_completed,
    first_completed_at, first_completed_by_gid, first_completed_by_name,
    last_completed_at, last_completed_by_gid, last_completed_by_name,
    cast(times_completed as bigint) as times_completed,
    cast(coalesce(times_reopened, 0) as bigint) as times_reopened
from folded
left join {{ ref('all_tasks') }} as tasks on folded.task_gid = tasks.gid
left join reopenings on folded.task_gid = reopenings.task_gid
