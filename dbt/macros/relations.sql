{# A row for each record and item of one of its lists, such as a task and each of its tags. #}
{% macro relation(model, list, owner, columns) %}
select distinct
    owner_gid as {{ owner }}
    {%- for name, path in columns.items() %},
    {{ airbyte_asana.json_text('item', path) }} as {{ name }}
    {%- endfor %}
from (
    {{ airbyte_asana.list_items('(select gid as owner_gid, ' ~ list ~ ' from ' ~ model ~ ')', list, ['owner_gid']) | indent(4) }}
) as listed_items
where {{ airbyte_asana.json_text('item', columns.values() | first) }} is not null
{% endmacro %}
