-- How much open work is there for each value of a custom field?
select
    choices.custom_field_name as custom_field,
    choices.choice_name as choice,
    count(*) as open_tasks,
    count(distinct tasks.assignee_gid) as people
from {{ ref('airbyte_asana', 'custom_field_choices') }} as choices
inner join {{ ref('airbyte_asana', 'all_tasks') }} as tasks on choices.resource_gid = tasks.gid
where choices.resource_type = 'task' and choices.choice_type in ('enum', 'multi_enum') and not tasks.completed
group by 1, 2
order by 1, open_tasks desc, 2
