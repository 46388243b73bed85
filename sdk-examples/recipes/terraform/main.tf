# The state stays where it is, behind address; OctoStore has its lock. docs/terraform.md says
# how to choose ttl and wait, and what the token may do. Put the token into TF_HTTP_PASSWORD.
terraform {
  backend "http" {
    address        = "https://states.example.com/prod/network"
    lock_address   = "https://locks.example.com/v1/terraform/prod/network?ttl=1h&wait=5m"
    unlock_address = "https://locks.example.com/v1/terraform/prod/network"
    username       = "terraform"
  }
}

variable "command" {
  description = "What an apply runs, in place of your resources."
  default     = "true"
}

resource "terraform_data" "work" {
  triggers_replace = timestamp()

  provisioner "local-exec" {
    command = var.command
  }
}
