select
    gid as story_gid, {{ airbyte_asana.story_task() }} as task_gid, created_at as changed_at, created_by_gid as changed_by_gid,
    created_by_name as changed_by_name,
    resource_subtype = 'start_date_changed' as is_of_start,
    {%- for side in ['old', 'new'] %}
    cast({{ airbyte_asana.json_text(side ~ '_dates', 'start_on') }} as date) as {{ side }}_start_on,
    cast({{ airbyte_asana.json_text(side ~ '_dates', 'due_on') }} as date) as {{ side }}_due_on,
    {{ airbyte_asana.utc(airbyte_asana.json_text(side ~ '_dates', 'due_at')) }} as {{ side }}_due_at{{ ',' if not loop.last }}
    {%- endfor %}
from {{ ref('current_stories') }}
where resource_subtype in ('due_date_changed', 'start_date_changed')
