"""The GraphQL surface: the only place that knows strawberry."""
