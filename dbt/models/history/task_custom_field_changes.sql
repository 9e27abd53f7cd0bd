select
    gid as story_gid, {{ airbyte_asana.story_task() }} as task_gid, created_at as changed_at, created_by_gid as changed_by_gid,
    created_by_name as changed_by_name, custom_field_gid, custom_field_name,
    replace(resource_subtype, '_custom_field_changed', '') as custom_field_type,
    {%- for side in ['old', 'new'] %}
    {{ side }}_text_value, {{ side }}_number_value,
    cast({{ airbyte_asana.json_text(side ~ '_date_value', 'due_on') }} as date) as {{ side }}_date_value,
    {{ airbyte_asana.utc(airbyte_asana.json_text(side ~ '_date_value', 'due_at')) }} as {{ side }}_date_time_value,
    {{ side }}_enum_value_gid as {{ side }}_enum_option_gid, {{ side }}_enum_value_name as {{ side }}_enum_option_name,
    {{ side }}_multi_enum_values as {{ side }}_multi_enum_options, {{ side }}_people_value as {{ side }}_people{{ ',' if not loop.last }}
    {%- endfor %}
from {{ ref('current_stories') }}
where resource_subtype like '%custom_field_changed'
