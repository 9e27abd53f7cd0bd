{{ config(alias='tag') }}
select
    cast(gid as varchar) as id,
    cast(name as varchar) as name,
    cast(color as varchar) as color,
    cast(created_at as timestamp) as created_at,
    cast(null as varchar) as message,
    cast(notes as varchar) as notes,
    cast(workspace_gid as varchar) as workspace_id,
    false as _fivetran_deleted,
    _airbyte_extracted_at as _fivetran_synced
from {{ ref('current_tags') }}
