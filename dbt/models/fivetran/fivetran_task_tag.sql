{{ config(alias='task_tag') }}
select
    cast(relations.task_gid as varchar) as task_id,
    cast(tag_gid as varchar) as tag_id,
    tasks._airbyte_extracted_at as _fivetran_synced
from {{ ref('task_tags') }} as relations
inner join {{ ref('all_tasks') }} as tasks on relations.task_gid = tasks.gid
