"""The only folder that knows Jinja and Babel: from a View to whole sentences to exact bytes."""
