"""Sessions, bundles, engines and the command line. Never imports torch."""
