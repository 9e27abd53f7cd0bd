{{ config(alias='task_section') }}
select
    cast(relations.task_gid as varchar) as task_id,
    cast(section_gid as varchar) as section_id,
    tasks._airbyte_extracted_at as _fivetran_synced
from {{ ref('task_projects') }} as relations
inner join {{ ref('all_tasks') }} as tasks on relations.task_gid = tasks.gid
where section_gid is not null
