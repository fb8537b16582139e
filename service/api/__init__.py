"""The HTTP face: routes, request and response bodies, problem documents."""
