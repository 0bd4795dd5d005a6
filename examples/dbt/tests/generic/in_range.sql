{% test in_range(model, column_name, above, to) %}
SELECT {{ column_name }} FROM {{ model }} WHERE {{ column_name }} <= {{ above }} OR {{ column_name }} > {{ to }}
{% endtest %}
