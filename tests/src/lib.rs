//! Shared pieces of the end-to-end tests: where the test models lie and how arrays are compared.
//! It deliberately holds no test itself; those are in `tests/tests/`.
