{{ config(alias='team') }}
select
    cast(gid as varchar) as id,
    cast(name as varchar) as name,
    cast(organization_gid as varchar) as organization_id,
    false as _fivetran_deleted,
    _airbyte_extracted_at as _fivetran_synced
from {{ ref('current_teams') }}
