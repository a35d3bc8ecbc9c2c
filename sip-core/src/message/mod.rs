//! Messages over shared bytes: indexed once, typed on demand, edited without touching the rest.
