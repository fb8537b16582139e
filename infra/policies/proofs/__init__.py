"""Proofs about policies for every request there can be, instead of samples.

``written_out`` makes of a set what the prover takes, ``asking`` puts questions to it, ``replay``
asks Cedar whether a counterexample is one, ``theorems`` says what is to hold. The prover itself is
``infra/policies/prover``, a Rust program that ``make prove`` builds.
"""
