{{ config(alias='section') }}
select
    cast(gid as varchar) as id,
    cast(name as varchar) as name,
    cast(created_at as timestamp) as created_at,
    cast(coalesce(project_gid, {{ airbyte_asana.json_text('project', 'gid') }}) as varchar) as project_id,
    _airbyte_extracted_at as _fivetran_synced
from {{ ref('current_sections') }}
