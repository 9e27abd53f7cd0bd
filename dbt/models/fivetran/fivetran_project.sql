{{ config(alias='project') }}
select
    cast(gid as varchar) as id,
    cast(name as varchar) as name,
    cast(archived as boolean) as archived,
    cast(color as varchar) as color,
    cast(created_at as timestamp) as created_at,
    cast(modified_at as timestamp) as modified_at,
    cast({{ airbyte_asana.json_text('current_status', 'text') }} as varchar) as current_status,
    cast(due_on as timestamp) as due_date,
    cast(notes as varchar) as notes,
    cast(owner_gid as varchar) as owner_id,
    cast(public as boolean) as public,
    cast(team_gid as varchar) as team_id,
    cast(workspace_gid as varchar) as workspace_id,
    false as _fivetran_deleted,
    _airbyte_extracted_at as _fivetran_synced
from {{ ref('current_projects') }}
