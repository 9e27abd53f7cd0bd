{# A stream's table as it is now: one row per record that exists, each column with its type, times in UTC, nested
   values as JSON, and of each object that names a record its `<column>_gid` and `<column>_name`.

   It is the same for tables whose deleted rows are gone (`append_dedup`) and for tables that keep every version and
   every tombstone (`append`). A stream that was not synced is empty, and a column that was not selected is null. #}
{% macro current_rows(stream) %}
{%- set table = source('asana', stream) -%}
{%- set declared = airbyte_asana.asana_streams()[stream] -%}
{%- set found = {} -%}
{%- set relation = none -%}
{%- if execute -%}
    {%- set relation = load_relation(table) -%}
    {%- if relation is not none -%}
        {%- for column in adapter.get_columns_in_relation(relation) -%}
            {%- do found.update({column.name | lower: {'name': adapter.quote(column.name), 'type': column.data_type}}) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endif -%}
{%- set null_time = 'cast(null as timestamp)' -%}
{%- set extracted = airbyte_asana.utc(found['_airbyte_extracted_at'].name) if '_airbyte_extracted_at' in found else null_time -%}
{%- set deleted = airbyte_asana.utc(found['_ab_cdc_deleted_at'].name) if '_ab_cdc_deleted_at' in found else null_time -%}
with versions as (
    select
    {%- for column in declared['columns'] %}
        {{ airbyte_asana.typed(found.get(column[0]), column[1]) }} as {{ column[0] }},
    {%- endfor %}
        {{ extracted }} as _airbyte_extracted_at,
        {{ deleted }} as deleted_at
    from {{ relation if relation is not none else '(select 1 as nothing) as missing where 1 = 0' }}
),

newest as (
    select * from versions
    qualify row_number() over (
        partition by {{ declared['key'] | join(', ') }}
        order by _airbyte_extracted_at desc nulls last, deleted_at desc nulls last
    ) = 1
)

select
{%- for column in declared['columns'] %}
    {{ column[0] }},
    {%- for field in column[2] %}
    {{ airbyte_asana.json_text(column[0], field) }} as {{ column[0] }}_{{ field }},
    {%- endfor %}
{%- endfor %}
    _airbyte_extracted_at
from newest
where deleted_at is null
{% endmacro %}

{# A column of the connector's table with the type that its stream declares. #}
{% macro typed(column, kind) -%}
{%- if not column -%}cast(null as {{ airbyte_asana.kind_type(kind) }})
{%- elif kind == 'json' -%}{{ airbyte_asana.to_json(column.name, column.type) }}
{%- elif kind == 'time' -%}{{ airbyte_asana.utc(column.name) }}
{%- else -%}cast({{ column.name }} as {{ airbyte_asana.kind_type(kind) }})
{%- endif -%}
{%- endmacro %}

{# The columns of `current_<stream>`, in their order. #}
{% macro current_columns(stream) %}
{%- set columns = [] -%}
{%- for column in airbyte_asana.asana_streams()[stream]['columns'] -%}
    {%- do columns.append(column[0]) -%}
    {%- for field in column[2] -%}{%- do columns.append(column[0] ~ '_' ~ field) -%}{%- endfor -%}
{%- endfor -%}
{{ return(columns + ['_airbyte_extracted_at']) }}
{% endmacro %}
