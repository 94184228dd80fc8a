"""Agency model packages: data, never code; read once, checked whole, admitted or not."""
