select
    owner_gid as custom_field_gid,
    {{ airbyte_asana.json_text('item', 'gid') }} as option_gid,
    {{ airbyte_asana.json_text('item', 'name') }} as option_name,
    {{ airbyte_asana.json_text('item', 'color') }} as option_color,
    cast({{ airbyte_asana.json_text('item', 'enabled') }} as boolean) as is_enabled,
    position
from (
    {{ airbyte_asana.list_items('(select gid as owner_gid, enum_options from ' ~ ref('current_custom_fields') ~ ')', 'enum_options', ['owner_gid']) | indent(4) }}
) as listed_items
