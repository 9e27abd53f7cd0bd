{%- set resources = ['task', 'project', 'portfolio', 'goal'] -%}
{%- set lists = {'multi_enum': 'multi_enum_options', 'people': 'people', 'reference': 'reference_objects'} -%}
{%- for resource in resources %}
{%- set values = ref(resource ~ '_custom_field_values') %}
select '{{ resource }}' as resource_type, {{ resource }}_gid as resource_gid, custom_field_gid, custom_field_name,
    'enum' as choice_type, 0 as position, enum_option_gid as choice_gid, enum_option_name as choice_name
from {{ values }}
where enum_option_gid is not null
{%- for kind, list in lists.items() %}
union all
select '{{ resource }}' as resource_type, {{ resource }}_gid as resource_gid, custom_field_gid, custom_field_name,
    '{{ kind }}' as choice_type, position, {{ airbyte_asana.json_text('item', 'gid') }} as choice_gid,
    {{ airbyte_asana.json_text('item', 'name') }} as choice_name
from (
    {{ airbyte_asana.list_items(values, list, [resource ~ '_gid', 'custom_field_gid', 'custom_field_name']) | indent(4) }}
) as listed_items
{%- endfor %}
{{ 'union all' if not loop.last }}
{%- endfor %}
