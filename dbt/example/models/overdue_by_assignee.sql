-- Who has open tasks whose due date has passed?
select
    coalesce(assignee_name, 'nobody') as assignee,
    count(*) as overdue_tasks,
    max({{ dbt.datediff('due_on', as_of(), 'day') }}) as days_of_the_oldest
from {{ ref('airbyte_asana', 'all_tasks') }}
where not completed and due_on < {{ as_of() }}
group by 1
order by overdue_tasks desc, assignee
