with moves as (
    select
        {{ airbyte_asana.story_task() }} as task_gid, project_gid, project_name, resource_subtype as move, created_at as moved_at,
        created_by_gid as moved_by_gid, gid, old_section_gid, old_section_name, new_section_gid, new_section_name
    from {{ ref('current_stories') }}
    where resource_subtype in ('section_changed', 'added_to_project', 'removed_from_project')
        and project_gid is not null
),

ordered as (
    select *,
        row_number() over (partition by task_gid, project_gid order by moved_at, length(gid), gid) as place,
        lag(move) over (partition by task_gid, project_gid order by moved_at, length(gid), gid) as previous_move,
        lead(move) over (partition by task_gid, project_gid order by moved_at, length(gid), gid) as next_move,
        lead(moved_at) over (partition by task_gid, project_gid order by moved_at, length(gid), gid) as next_moved_at,
        lead(moved_by_gid) over (partition by task_gid, project_gid order by moved_at, length(gid), gid) as next_moved_by_gid,
        lead(old_section_gid) over (partition by task_gid, project_gid order by moved_at, length(gid), gid)
            as next_old_section_gid,
        lead(old_section_name) over (partition by task_gid, project_gid order by moved_at, length(gid), gid)
            as next_old_section_name
    from moves
),

{# From each move to the next one. An added task's section is known from what comes next. -#}
after_moves as (
    select
        ordered.task_gid, ordered.project_gid, ordered.project_name, ordered.place,
        case
            when move = 'section_changed' then new_section_gid
            when next_move = 'section_changed' then next_old_section_gid
            when next_move is null then now_in.section_gid
        end as section_gid,
        case
            when move = 'section_changed' then new_section_name
            when next_move = 'section_changed' then next_old_section_name
            when next_move is null then now_in.section_name
        end as section_name,
        moved_at as entered_at, moved_by_gid as entered_by_gid, next_moved_at as left_at,
        next_moved_by_gid as left_by_gid,
        move = 'added_to_project' or coalesce(previous_move, '') = 'removed_from_project' as begins_stay
    from ordered
    left join {{ ref('task_projects') }} as now_in
        on ordered.task_gid = now_in.task_gid and ordered.project_gid = now_in.project_gid
    where move <> 'removed_from_project'
),

{# What was before the first move, if that is not the one that added the task: the task was made there. -#}
before_moves as (
    select
        task_gid, project_gid, project_name, 0 as place, old_section_gid as section_gid, old_section_name as section_name,
        tasks.created_at as entered_at, tasks.created_by_gid as entered_by_gid, moved_at as left_at,
        moved_by_gid as left_by_gid, true as begins_stay
    from ordered
    left join {{ ref('all_tasks') }} as tasks on ordered.task_gid = tasks.gid
    where place = 1 and move <> 'added_to_project'
),

last_moves as (
    select task_gid, project_gid, place, move,
        case when move = 'section_changed' then new_section_gid end as section_gid
    from ordered
    where next_move is null
),

{# Where a task is though no move says so: it never moved, or it was moved by something that writes no story. -#}
untold as (
    select
        now_in.task_gid, now_in.project_gid, now_in.project_name, coalesce(last_moves.place, -1) + 1 as place,
        now_in.section_gid, now_in.section_name,
        case when last_moves.task_gid is null then tasks.created_at end as entered_at,
        case when last_moves.task_gid is null then tasks.created_by_gid end as entered_by_gid,
        cast(null as timestamp) as left_at, cast(null as varchar) as left_by_gid,
        coalesce(last_moves.move, 'removed_from_project') = 'removed_from_project' as begins_stay
    from {{ ref('task_projects') }} as now_in
    left join last_moves on now_in.task_gid = last_moves.task_gid and now_in.project_gid = last_moves.project_gid
    left join {{ ref('all_tasks') }} as tasks on now_in.task_gid = tasks.gid
    where last_moves.task_gid is null
        or last_moves.move = 'removed_from_project'
        or (last_moves.move = 'section_changed' and last_moves.section_gid is distinct from now_in.section_gid)
),

stays as (
    select * from before_moves
    union all
    select task_gid, project_gid, project_name, place, section_gid, section_name, entered_at, entered_by_gid, left_at,
        left_by_gid, begins_stay from after_moves
    union all
    select * from untold
)

select
    stays.task_gid, stays.project_gid, stays.project_name, stays.place, stays.section_gid, stays.section_name,
    entered_at, entered_by_gid, left_at, left_by_gid,
    {{ dbt.datediff('entered_at', 'left_at', 'second') }} as seconds,
    now_in.task_gid is not null
        and stays.place = max(stays.place) over (partition by stays.task_gid, stays.project_gid) as is_current,
    sum(case when begins_stay then 1 else 0 end) over (
        partition by stays.task_gid, stays.project_gid order by stays.place
        rows between unbounded preceding and current row
    ) as stay
from stays
left join {{ ref('task_projects') }} as now_in
    on stays.task_gid = now_in.task_gid and stays.project_gid = now_in.project_gid
