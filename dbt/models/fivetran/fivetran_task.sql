{{ config(alias='task') }}
select
    cast(gid as varchar) as id,
    cast(assignee_gid as varchar) as assignee_id,
    cast(completed as boolean) as completed,
    cast(completed_at as timestamp) as completed_at,
    cast(completed_by_gid as varchar) as completed_by_id,
    cast(created_at as timestamp) as created_at,
    cast(due_at as timestamp) as due_at,
    cast(due_on as timestamp) as due_on,
    cast(modified_at as timestamp) as modified_at,
    cast(name as varchar) as name,
    cast(notes as varchar) as notes,
    cast(liked as boolean) as liked,
    cast(num_likes as bigint) as num_likes,
    cast(parent_gid as varchar) as parent_id,
    cast(start_on as timestamp) as start_on,
    cast(workspace_gid as varchar) as workspace_id,
    _airbyte_extracted_at as _fivetran_synced
from {{ ref('all_tasks') }}
