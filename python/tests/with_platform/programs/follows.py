"""Follows what a task prints while the API is restarted: says each line as it comes, then what the whole log is."""

import functions

from mpcsfaas import Client

client = Client()
future = client.submit(functions.speak, 40, 0.25)
came = []
for line in client.logs(future.reference_id(), follow=True):
    came.append(line.text)
    print(len(came), flush=True)
whole = [line.text for line in client.logs(future.task_id)]
print("came", len(came), "same", came == whole, client.status(future.task_id), flush=True)
client.close()
