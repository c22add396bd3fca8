"""HTTP rules that all endpoints share: problems, ETags, pages, bodies, security headers and the OpenAPI document."""
