"""Thin Prefect tasks: fetch inputs, call one function, publish the result, return a reference."""
