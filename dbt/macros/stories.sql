{# The task or subtask that a story is on. #}
{% macro story_task() %}coalesce(target_gid, task_gid){% endmacro %}

{# Stories in the order in which things happened: of those of one moment, a later one has the higher gid. #}
{% macro story_order() %}created_at, length(gid), gid{% endmacro %}
