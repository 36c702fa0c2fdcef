"""What a build does to caches: from instructions to what each layer keeps."""
