{% test in_range(model, column_name, above, at_most) %}
SELECT {{ column_name }} FROM {{ model }} WHERE NOT ({{ column_name }} > {{ above }} AND {{ column_name }} <= {{ at_most }})
{% endtest %}
