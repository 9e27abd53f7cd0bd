{# The day that the answers count to: the variable `as_of`, or today. #}
{% macro as_of() -%}
{%- if var('as_of') -%}cast('{{ var('as_of') }}' as date){%- else -%}current_date{%- endif -%}
{%- endmacro %}
