{{ config(alias='user') }}
select
    cast(gid as varchar) as id,
    cast(name as varchar) as name,
    cast(email as varchar) as email,
    false as _fivetran_deleted,
    _airbyte_extracted_at as _fivetran_synced
from {{ ref('current_users') }}
