{{ config(alias='task_follower') }}
select
    cast(relations.task_gid as varchar) as task_id,
    cast(user_gid as varchar) as user_id,
    tasks._airbyte_extracted_at as _fivetran_synced
from {{ ref('task_followers') }} as relations
inner join {{ ref('all_tasks') }} as tasks on relations.task_gid = tasks.gid
