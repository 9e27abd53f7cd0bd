{{ config(alias='story') }}
select
    cast(gid as varchar) as id,
    cast(created_at as timestamp) as created_at,
    cast(created_by_gid as varchar) as created_by_id,
    cast(liked as boolean) as hearted,
    cast(num_likes as bigint) as num_hearts,
    cast(source as varchar) as source,
    cast({{ airbyte_asana.story_task() }} as varchar) as target_id,
    cast(text as varchar) as text,
    cast(type as varchar) as type,
    _airbyte_extracted_at as _fivetran_synced
from {{ ref('current_stories') }}
