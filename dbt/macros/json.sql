{# What differs between the adapters: JSON, unnesting, and times. Nothing else in this package depends on the target. #}

{# A column with nested values as the adapter's JSON type, whether the column is JSON text or typed. #}
{% macro to_json(column, data_type) %}{{ return(adapter.dispatch('to_json', 'airbyte_asana')(column, data_type)) }}{% endmacro %}
{# DuckDB parses text, and turns lists and structs into JSON, with the same cast. #}
{% macro default__to_json(column, data_type) %}cast({{ column }} as json){% endmacro %}
{% macro snowflake__to_json(column, data_type) -%}
{%- if (data_type | upper).startswith(('VARCHAR', 'CHARACTER', 'TEXT', 'STRING')) -%}parse_json({{ column }})
{%- else -%}cast({{ column }} as variant)
{%- endif -%}
{%- endmacro %}

{# A value inside of JSON as text; null where it is missing or JSON's null. The path is `name` or `name.name`. #}
{% macro json_text(value, path) %}{{ return(adapter.dispatch('json_text', 'airbyte_asana')(value, path)) }}{% endmacro %}
{% macro default__json_text(value, path) %}json_extract_string({{ value }}, '$.{{ path }}'){% endmacro %}
{% macro snowflake__json_text(value, path) %}cast(get_path({{ value }}, '{{ path }}') as varchar){% endmacro %}

{# A list or object inside of JSON, as JSON; null where it is missing or JSON's null. #}
{% macro json_value(value, path) %}{{ return(adapter.dispatch('json_value', 'airbyte_asana')(value, path)) }}{% endmacro %}
{% macro default__json_value(value, path) -%}
case when json_type({{ value }}, '$.{{ path }}') <> 'NULL' then json_extract({{ value }}, '$.{{ path }}') end
{%- endmacro %}
{% macro snowflake__json_value(value, path) -%}
case when not is_null_value(get_path({{ value }}, '{{ path }}')) then get_path({{ value }}, '{{ path }}') end
{%- endmacro %}

{# JSON as text, for columns that have to be compared or grouped. #}
{% macro json_as_text(value) %}{{ return(adapter.dispatch('json_as_text', 'airbyte_asana')(value)) }}{% endmacro %}
{% macro default__json_as_text(value) %}cast({{ value }} as varchar){% endmacro %}
{% macro snowflake__json_as_text(value) %}to_json({{ value }}){% endmacro %}

{# A query with a row for each item of a JSON list: the kept columns, `position` from 0, and the `item` as JSON. #}
{% macro list_items(relation, list, keep) %}{{ return(adapter.dispatch('list_items', 'airbyte_asana')(relation, list, keep)) }}{% endmacro %}
{% macro default__list_items(relation, list, keep) -%}
select {{ keep | join(', ') }}, generate_subscripts(list_of_items, 1) - 1 as position, unnest(list_of_items) as item
from (
    select {{ keep | join(', ') }}, cast({{ list }} as json[]) as list_of_items from {{ relation }} as listed
    where json_type({{ list }}) = 'ARRAY'
) as with_list
{%- endmacro %}
{% macro snowflake__list_items(relation, list, keep) -%}
select {% for column in keep %}listed.{{ column }}, {% endfor %}flattened.index as position, flattened.value as item
from {{ relation }} as listed, lateral flatten(input => listed.{{ list }}) as flattened
{%- endmacro %}

{# A time with or without a zone as a timestamp without one, in UTC: no result depends on the session's time zone. #}
{% macro utc(value) %}{{ return(adapter.dispatch('utc', 'airbyte_asana')(value)) }}{% endmacro %}
{% macro default__utc(value) %}timezone('UTC', cast({{ value }} as timestamptz)){% endmacro %}
{% macro snowflake__utc(value) -%}
cast(convert_timezone('UTC', cast({{ value }} as timestamp_tz)) as timestamp_ntz)
{%- endmacro %}

{# The type of a column of this kind. #}
{% macro kind_type(kind) -%}
{%- if kind == 'json' -%}{{ airbyte_asana.json_type_name() }}
{%- else -%}{{ {'text': 'varchar', 'boolean': 'boolean', 'integer': 'bigint', 'number': 'double', 'date': 'date',
                'time': 'timestamp'}[kind] }}
{%- endif -%}
{%- endmacro %}
{% macro json_type_name() %}{{ return(adapter.dispatch('json_type_name', 'airbyte_asana')()) }}{% endmacro %}
{% macro default__json_type_name() %}{{ return('json') }}{% endmacro %}
{% macro snowflake__json_type_name() %}{{ return('variant') }}{% endmacro %}
