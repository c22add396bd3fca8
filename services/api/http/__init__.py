"""HTTP conventions of all endpoints: problems, ETags, pagination, bodies, security headers and the OpenAPI document."""
