{{ config(alias='project_task') }}
select
    cast(relations.project_gid as varchar) as project_id,
    cast(relations.task_gid as varchar) as task_id,
    tasks._airbyte_extracted_at as _fivetran_synced
from {{ ref('task_projects') }} as relations
inner join {{ ref('all_tasks') }} as tasks on relations.task_gid = tasks.gid
