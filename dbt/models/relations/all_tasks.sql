{#- Tasks and subtasks have the same columns; a subtask also says what it is below. -#}
{%- set columns = airbyte_asana.current_columns('subtasks') -%}
with recursive both_streams as (
    select {{ columns | join(', ') }} from {{ ref('current_tasks') }}
    union all
    select {{ columns | join(', ') }} from {{ ref('current_subtasks') }}
),

{# A task that was put below another is in both tables until the next sync of the first. -#}
tasks as (
    select * from both_streams
    qualify row_number() over (partition by gid order by _airbyte_extracted_at desc nulls last, parent_gid) = 1
),

tree as (
    select tasks.gid, tasks.gid as root_task_gid, 0 as depth
    from tasks
    left join tasks as above on tasks.parent_gid = above.gid
    where above.gid is null
    union all
    select below.gid, tree.root_task_gid, tree.depth + 1 as depth
    from tasks as below
    inner join tree on below.parent_gid = tree.gid
)

select
    tasks.*,
    tasks.parent_gid is not null as is_subtask,
    tree.root_task_gid,
    tree.depth
from tasks
inner join tree on tasks.gid = tree.gid
