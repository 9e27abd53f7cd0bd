{# A row for each record of the model and each custom field on it, with one column for each kind of value. #}
{% macro custom_field_values(model, owner) %}
select
    owner_gid as {{ owner }},
    {{ airbyte_asana.json_text('item', 'gid') }} as custom_field_gid,
    {{ airbyte_asana.json_text('item', 'name') }} as custom_field_name,
    {{ airbyte_asana.json_text('item', 'type') }} as custom_field_type,
    cast({{ airbyte_asana.json_text('item', 'enabled') }} as boolean) as is_enabled,
    {{ airbyte_asana.json_text('item', 'display_value') }} as display_value,
    {{ airbyte_asana.json_text('item', 'text_value') }} as text_value,
    cast({{ airbyte_asana.json_text('item', 'number_value') }} as double) as number_value,
    cast({{ airbyte_asana.json_text('item', 'date_value.date') }} as date) as date_value,
    {{ airbyte_asana.utc(airbyte_asana.json_text('item', 'date_value.date_time')) }} as date_time_value,
    {{ airbyte_asana.json_text('item', 'enum_value.gid') }} as enum_option_gid,
    {{ airbyte_asana.json_text('item', 'enum_value.name') }} as enum_option_name,
    {{ airbyte_asana.json_value('item', 'multi_enum_values') }} as multi_enum_options,
    {{ airbyte_asana.json_value('item', 'people_value') }} as people,
    {{ airbyte_asana.json_value('item', 'reference_value') }} as reference_objects
from (
    {{ airbyte_asana.list_items('(select gid as owner_gid, custom_fields from ' ~ model ~ ')', 'custom_fields', ['owner_gid']) | indent(4) }}
) as listed_items
where {{ airbyte_asana.json_text('item', 'gid') }} is not null
{% endmacro %}

{# A wide table: a row for each record, and one typed column for each chosen field.

   `resource` is task, project, portfolio or goal. `fields` is a list of `{gid, column, type}`: the field is found by
   its gid and the column has the name that is chosen here, so that a field that is renamed in Asana stays where it
   is. `dbt run-operation print_custom_fields` prints such a list with columns that are named by the fields. #}
{% macro custom_field_columns(resource, fields) %}
{%- set columns = {'text': 'text_value', 'number': 'number_value', 'date': 'date_value', 'date_time': 'date_time_value',
                   'enum': 'enum_option_name', 'multi_enum': 'multi_enum_options', 'people': 'people',
                   'reference': 'reference_objects', 'display': 'display_value'} -%}
{%- set owners = {'task': ref('airbyte_asana', 'all_tasks'), 'project': ref('airbyte_asana', 'current_projects'),
                  'portfolio': ref('airbyte_asana', 'current_portfolios'),
                  'goal': ref('airbyte_asana', 'current_goals')} -%}
{%- set values = {'task': ref('airbyte_asana', 'task_custom_field_values'), 'project': ref('airbyte_asana', 'project_custom_field_values'),
                  'portfolio': ref('airbyte_asana', 'portfolio_custom_field_values'), 'goal': ref('airbyte_asana', 'goal_custom_field_values')} -%}
{%- if resource not in owners -%}
    {{ exceptions.raise_compiler_error("custom_field_columns: there are no custom fields on '" ~ resource ~ "'; choose task, project, portfolio or goal") }}
{%- endif -%}
select
    owners.gid as {{ resource }}_gid
    {%- for field in fields %}
    {%- if field['type'] not in columns -%}
        {{ exceptions.raise_compiler_error("custom_field_columns: '" ~ field['type'] ~ "' of the column '" ~ field['column'] ~ "' is no type of a custom field; choose one of " ~ columns.keys() | join(', ')) }}
    {%- endif -%}
    {%- set column = columns[field['type']] %}
    {%- if field['type'] in ('multi_enum', 'people', 'reference') -%}
        {%- set column = airbyte_asana.json_as_text(column) -%}
    {%- endif %},
    max(case when custom_field_values.custom_field_gid = '{{ field['gid'] }}' then {{ column }} end) as {{ adapter.quote(field['column']) if field.get('quote') else field['column'] }}
    {%- endfor %}
from {{ owners[resource] }} as owners
left join {{ values[resource] }} as custom_field_values
    on owners.gid = custom_field_values.{{ resource }}_gid
group by owners.gid
{% endmacro %}

{# Prints the custom fields that the tables hold as a list for `custom_field_columns`. #}
{% macro print_custom_fields(resource='task') %}
{%- if execute -%}
{%- set values = ref('airbyte_asana', resource ~ '_custom_field_values') -%}
{%- set found = run_query('select custom_field_gid, max(custom_field_name) as custom_field_name, max(custom_field_type) as custom_field_type from ' ~ values ~ ' group by custom_field_gid order by 2, 1') -%}
{%- set taken = [] -%}
{%- for row in found.rows -%}
    {%- set column = modules.re.sub('[^a-z0-9]+', '_', (row[1] or '') | lower).strip('_') -%}
    {%- if not column or column[0] in '0123456789' or column in taken -%}{%- set column = (column ~ '_' ~ row[0]).strip('_') -%}{%- endif -%}
    {%- if column[0] in '0123456789' -%}{%- set column = 'field_' ~ column -%}{%- endif -%}
    {%- do taken.append(column) -%}
    {%- do print("- {gid: '" ~ row[0] ~ "', column: " ~ column ~ ", type: " ~ row[2] ~ "}") -%}
{%- endfor -%}
{%- endif -%}
{% endmacro %}
