# `make demo` and `make test` are all a newcomer needs; each installs what it lacks.

SWIFT ?= swift
RELEASE_FLAGS = -c release --static-swift-stdlib --product spate
SWIFT_FILES = Package.swift Sources Tests $(wildcard Benchmarks/*/*.swift)

.PHONY: demo test bench lint format release clean

demo: release
	Benchmarks/demo .build/release/spate

test:
	.ci/install test
	$(SWIFT) test

bench: release
	.ci/install bench
	Benchmarks/run .build/release/spate

lint:
	.ci/install build
	$(SWIFT) format lint --strict --recursive --parallel $(SWIFT_FILES)
	$(SWIFT) test --filter HouseTests

format:
	$(SWIFT) format --in-place --recursive --parallel $(SWIFT_FILES)

# One program with the Swift runtime inside, stripped.
release:
	.ci/install build
	$(SWIFT) build $(RELEASE_FLAGS)
	strip .build/release/spate
	@echo ".build/release/spate: $$(stat -Lc %s .build/release/spate) bytes"

clean:
	$(SWIFT) package clean
